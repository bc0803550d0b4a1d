"""The node `adaptive_mpc`, over rclpy or DDS, with its services, diagnostics and parts of launch files."""
