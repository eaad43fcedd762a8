"""What tests build, serve and compare with."""
