"""Pictures as SVG, without styles or scripts of their own: the page's style sheet gives the colours by class."""
