"""Pictures for `model.fit`: from a folder, from arrays, from an older generator; batch by batch, mixed or not."""
