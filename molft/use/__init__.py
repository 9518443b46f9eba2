"""What the chemist came for: models, scores, screens, reports."""
