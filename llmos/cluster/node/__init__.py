"""A real node of the embedded cluster: containerd, kubelet and kube-proxy here, in a network of their own."""
