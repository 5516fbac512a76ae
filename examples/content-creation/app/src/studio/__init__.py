"""Long articles from a topic: an outline first, then each section with the outline and the section before in view."""
