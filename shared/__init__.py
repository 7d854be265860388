"""What the five services share: values, schema, the ledger and one room per money flow."""
