"""Packets that vanish, which no proxy can do: nothing is acknowledged, so TCP's own timers are what notices."""
