extension OperatorRegistry {
    /// Every operator that the library brings.
    public static let standard: OperatorRegistry = {
        var registry = OperatorRegistry()
        registry.register(ShapeOperators.all)
        registry.register(ConstantOperators.all)
        registry.register(LayoutOperators.all)
        registry.register(IndexingOperators.all)
        return registry
    }()
}
