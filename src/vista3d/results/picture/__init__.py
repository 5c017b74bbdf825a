"""The parts of a preview picture: cutting the planes, drawing them, placing them, the legend."""
