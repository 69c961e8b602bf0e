"""Photos and tables, read in one way: for training and for serving."""
