"""What a .rknn file says about itself."""
