"""What keeps the repository in order. ``make pins`` runs ``tools.pins``."""
