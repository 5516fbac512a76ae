"""The cluster on this machine: a real control plane and node autoscaler with simulated nodes, or kind."""
