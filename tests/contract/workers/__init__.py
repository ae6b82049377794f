"""Programs that the contract tests run in processes of their own."""
