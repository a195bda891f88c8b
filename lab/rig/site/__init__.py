"""What one plan's faults see and reach: its lines, its wire, its sessions."""
