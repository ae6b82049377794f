"""Small models of families to come, which show that the contract carries them."""
