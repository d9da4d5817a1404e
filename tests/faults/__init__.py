"""What goes wrong: killed processes, lost power, full disks, damaged files, hostile servers."""
