"""A process beside the controller that has the last word to the actuators, so that they are not left alone when it dies."""
