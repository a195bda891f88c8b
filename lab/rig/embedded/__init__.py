"""The default rig: both servers as processes of this machine."""
