import Kernels
public import TensorGraph

/// The weight of a convolution: the linear rule on the unfolded input, group by group.
///
/// A transposed convolution is the same site with x and g exchanged.
public struct ConvolutionSite: Site {
    /// What the kernel slides over, samples on axis 0: [B, C, spatial...].
    public let x: ValueID
    /// Gradient of what comes out: [B, M, spatial...].
    public let g: ValueID
    public let geometry: ConvolutionGeometry
    /// [M, C/groups, kernel...].
    public let weightShape: [Int]
    public let gradientShape: [Int]
    public let cost: SiteCost

    /// - Parameter gradientShape: any shape with the elements of the weight in the same order; the weight's by default.
    public init(
        x: ValueID, g: ValueID, geometry: ConvolutionGeometry, weightShape: [Int], gradientShape: [Int]? = nil,
        in builder: GraphBuilder
    ) {
        self.x = x
        self.g = g
        self.geometry = geometry
        self.weightShape = weightShape
        self.gradientShape = gradientShape ?? weightShape
        let size = geometry.knownSizes(input: builder.shape(of: x), weight: weightShape)
        cost = SiteCost(
            ghost: Self.isDepthwise(size) ? nil : Self.ghostMultiplyAdds(size), instantiate: size.sampleMultiplyAdds,
            keep: size.perSampleGradientCost(workers: 1), elements: Double(size.weightCount))
    }

    public var ruleName: String { "convolution" }

    /// One input channel per group: the kernel has so few elements that Gram matrices never pay.
    private static func isDepthwise(_ size: ConvolutionShape) -> Bool {
        size.groups > 1 && size.inChannels == size.groups
    }

    /// Multiply-adds of one sample's Gram matrices.
    static func ghostMultiplyAdds(_ size: ConvolutionShape) -> Double {
        Double(size.groups)
            * LinearSizes.gramMultiplyAdds(
                positions: size.positions, d: size.unfoldedRows, p: size.outChannels / size.groups)
    }

    public func ghostNorms(in builder: inout GraphBuilder) throws(GraphError) -> ValueID? {
        if cost.ghost == nil { return nil }
        return try builder.emit(ConvolutionNorms(.ghost, geometry, weightShape: weightShape), x, g)
    }

    public func discardedNorms(in builder: inout GraphBuilder) throws(GraphError) -> ValueID? {
        try builder.emit(ConvolutionNorms(.instantiated, geometry, weightShape: weightShape), x, g)
    }

    public func perSampleGradients(in builder: inout GraphBuilder) throws(GraphError) -> ValueID {
        let batch = builder.shape(of: x)[0]
        return try builder.view(
            try builder.emit(ConvolutionPerSampleGradients(geometry, weightShape: weightShape), x, g),
            [batch] + gradientShape)
    }

    public func contraction(factors: ValueID, in builder: inout GraphBuilder) throws(GraphError) -> ValueID {
        try builder.view(
            try builder.emit(ConvolutionContraction(geometry, weightShape: weightShape), x, g, factors), gradientShape)
    }

    /// Images side by side on one more spatial axis, along which the kernel has one tap.
    public func joiningSamples(_ count: Int, in builder: inout GraphBuilder) throws(GraphError) -> any Site {
        guard weightShape.count < 5 else {
            let instantiated = PerSampleSite(
                gradients: try perSampleGradients(in: &builder), shape: gradientShape, rule: ruleName)
            return try instantiated.joiningSamples(count, in: &builder)
        }
        var joined: [ValueID] = []
        for value in [x, g] {
            let shape = builder.shape(of: value)
            let apart = try builder.view(value, [shape[0] / count, count] + shape[1...])
            joined.append(try builder.transpose(apart, [0, 2, 1] + Array(3..<shape.count + 1)))
        }
        let stacked = ConvolutionGeometry(
            groups: geometry.groups, strides: [1] + geometry.strides, dilations: [1] + geometry.dilations,
            padsBegin: [0] + geometry.padsBegin, padsEnd: [0] + geometry.padsEnd)
        return ConvolutionSite(
            x: joined[0], g: joined[1], geometry: stacked,
            weightShape: Array(weightShape[..<2]) + [1] + weightShape[2...], gradientShape: gradientShape, in: builder)
    }

    public func pulledBack(through operation: any Operation, inputShape: [Int], in builder: inout GraphBuilder)
        throws(GraphError) -> (any Site)?
    {
        guard operation is View else { return nil }
        return ConvolutionSite(
            x: x, g: g, geometry: geometry, weightShape: weightShape, gradientShape: inputShape, in: builder)
    }
}

extension GraphBuilder {
    /// The site of a convolution's weight.
    ///
    /// - Parameters:
    ///   - x: what the kernel slides over, [N, C, spatial...].
    ///   - g: gradient of what comes out, [N, M, spatial...].
    ///   - images: the forward value from whose first axis the samples are known.
    mutating func convolutionSite(
        x: ValueID, g: ValueID, images value: ValueID, _ geometry: ConvolutionGeometry, weightShape: [Int]
    ) throws(GraphError) -> any Site {
        let images = shape(of: x)[0]
        if images == batchSize {
            return ConvolutionSite(x: x, g: g, geometry: geometry, weightShape: weightShape, in: self)
        }
        // Several images belong to one sample (frames, crops): its gradient is the sum of theirs.
        let factor = graph[value].batch.factor ?? BatchFactor(axis: 0)
        let outer = batchSize == 1 ? 1 : factor.outer
        let each = try emit(ConvolutionPerSampleGradients(geometry, weightShape: weightShape), x, g)
        let split = try view(each, [outer, batchSize, images / (outer * batchSize)] + weightShape)
        return PerSampleSite(
            gradients: try sum(split, axes: [0, 2]), shape: weightShape, rule: "convolution")
    }
}

extension Node {
    /// What a convolution's site pairs with the images: its output's gradient.
    /// - Throws: `unsupported` if the parameter is not its weight, input 1, but stands where the images do.
    func outputGradient(ofConvolutionBy input: Int, _ gradients: [ValueID?]) throws(GraphError) -> ValueID {
        guard input == 1, let gradient = gradients[0] else {
            throw GraphError.unsupported(
                "a parameter that takes the place of a convolution's input has no per-sample rule; freeze it with --frozen"
            ).at("\(origin)")
        }
        return gradient
    }
}
