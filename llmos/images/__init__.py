"""The image path: an engine, a registry, a base image, a build that ends in a digest, and one container to try it."""
