"""The machinery every model shares. It knows no model."""
