"""What every model and value of the library must satisfy, one property a file."""
