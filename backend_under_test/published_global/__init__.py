"""The published backend that keeps its connection in a global."""
