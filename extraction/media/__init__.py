"""What is taken of a video: frames, clips and sound."""
