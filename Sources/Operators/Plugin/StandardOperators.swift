extension OperatorRegistry {
    /// Every operator that this package knows.
    public static let standard: OperatorRegistry = {
        var registry = OperatorRegistry()
        registry.register(ElementwiseOperators.all)
        registry.register(ReductionOperators.all)
        return registry
    }()
}
