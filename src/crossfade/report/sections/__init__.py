"""The sections of a page: from records to what the templates show, plain values and ready-made figures."""
