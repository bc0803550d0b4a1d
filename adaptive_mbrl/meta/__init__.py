"""The outer loop: query losses and trainer."""
