extension LossSpecification.Kind {
    /// The loss of a name: `cross-entropy`, `bce-with-logits`, `mse`, `l1`, `huber`, or `output:NAME` for an output of the
    /// graph; nil for any other.
    public init?(name: String) {
        switch name {
        case "cross-entropy": self = .crossEntropy
        case "bce-with-logits": self = .binaryCrossEntropy
        case "mse": self = .meanSquaredError
        case "l1": self = .meanAbsoluteError
        case "huber": self = .huber
        default:
            guard name.hasPrefix("output:"), name.count > "output:".count else { return nil }
            self = .output(String(name.dropFirst("output:".count)))
        }
    }
}
