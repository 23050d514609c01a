extension OperatorRegistry {
    /// Every operator that this package knows.
    public static let standard: OperatorRegistry = {
        var registry = OperatorRegistry()
        registry.register(ElementwiseOperators.all)
        registry.register(ReductionOperators.all)
        registry.register(ConstantOperators.all)
        registry.register(ShapeOperators.all)
        registry.register(LayoutOperators.all)
        registry.register(IndexingOperators.all)
        registry.register(MatrixOperators.all)
        registry.register(AttentionOperators.all)
        registry.register(RotaryEmbedding.all)
        registry.register(ConvolutionOperators.all)
        registry.register(RecurrentOperators.all)
        registry.register(PoolingOperators.all)
        registry.register(NormalizationOperators.all)
        registry.register(BatchNormalizationOperators.all)
        registry.register(SoftmaxOperators.all)
        return registry
    }()
}
