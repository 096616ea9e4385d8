"""Pictures: opening what people really drop, saving, colours, noise, contact sheets, what is told of a photo."""
