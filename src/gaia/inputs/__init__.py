"""Photos and tables, read in one way: for training and for serving."""

LFS = b"version https://git-lfs.github.com/spec/"  # how a file begins that Git LFS left in the place of another
