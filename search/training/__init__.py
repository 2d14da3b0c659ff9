"""Training of image encoders: pure torch and numpy, no Django."""
