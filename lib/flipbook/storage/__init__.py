"""What is kept on disk: rows of attacked images, trained things, and the digests by which they are found again."""
