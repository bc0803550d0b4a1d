"""The control loop: observations in, plans ahead, commands out."""
