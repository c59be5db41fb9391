"""What every attack is built on: results, counted passes, gradients, checks of inputs, one state an image."""
