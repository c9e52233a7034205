"""The demo and the gallery: never imported by the rest, left out of vendored copies."""
