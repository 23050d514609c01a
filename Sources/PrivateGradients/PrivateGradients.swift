// PrivateGradients
