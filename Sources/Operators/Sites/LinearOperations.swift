import Kernels
public import TensorGraph

/// Sizes of a linear site: x [B,T,d] and g [B,T,p].
struct LinearSizes {
    let batch: Int
    let positions: Int
    let d: Int
    let p: Int

    init(_ x: TensorType, _ g: TensorType) throws(GraphError) {
        guard x.elementType == .float32, g.elementType == .float32, x.rank == 3, g.rank == 3,
            x.shape[..<2] == g.shape[..<2]
        else { throw .invalid("\(x) and \(g) are not the input and the output gradient of a linear layer") }
        (batch, positions, d, p) = (x.shape[0], x.shape[1], x.shape[2], g.shape[2])
    }

    /// Sizes of inputs that `outputTypes` has accepted.
    init(checked inputs: [TensorType]) {
        let (x, g) = (inputs[0].shape, inputs[1].shape)
        (batch, positions, d, p) = (x[0], x[1], x[2], g[2])
    }

    var multiplyAdds: Double { Double(batch * positions) * Double(d) * Double(p) }

    /// Multiply-adds of one sample's two Gram matrices, of which the upper triangles are computed in panels of 32 columns.
    static func gramMultiplyAdds(positions: Int, d: Int, p: Int) -> Double {
        let count = Double(positions)
        if positions == 1 { return Double(d + p) }
        return count * (count + 32) / 2 * Double(d + p + 1)
    }
}

/// Which way to the norms of a linear or convolution site.
public enum NormRule: Hashable, Sendable {
    /// From Gram matrices over the positions (Li et al. 2022; Goodfellow 2015 for one position).
    case ghost
    /// By forming one sample's gradient at a time and dropping it.
    case instantiated
}

/// ||x_i^T g_i||^2 for x [B,T,d] and g [B,T,p]: [B], float64.
public struct LinearNorms: BackwardOperation {
    public let rule: NormRule

    public init(_ rule: NormRule) { self.rule = rule }

    public var description: String { "linear norms, \(rule)" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        [TensorType(.float64, [try LinearSizes(inputs[0], inputs[1]).batch])]
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let size = LinearSizes(checked: inputs)
        switch rule {
        case .ghost:
            let scratch = linearGhostNormsScratchCount(
                positions: size.positions, d: size.d, p: size.p, workers: threads)
            let work = LinearSizes.gramMultiplyAdds(positions: size.positions, d: size.d, p: size.p)
            return Kernel(scratchBytes: 4 * scratch, operationCount: 2 * Double(size.batch) * work) { arguments in
                let norms = arguments.output(0, as: Double.self)
                norms.update(repeating: 0, count: size.batch)
                linearGhostNorms(
                    x: arguments.input(0), g: arguments.input(1), batch: size.batch, positions: size.positions,
                    d: size.d,
                    p: size.p,
                    includeBias: false, into: norms, scratch: arguments.floatScratch, pool: arguments.pool)
            }
        case .instantiated:
            let scratch = linearInstantiatedNormsScratchCount(d: size.d, p: size.p, workers: threads)
            return Kernel(scratchBytes: 4 * scratch, operationCount: 2 * size.multiplyAdds) { arguments in
                let norms = arguments.output(0, as: Double.self)
                norms.update(repeating: 0, count: size.batch)
                linearInstantiatedNorms(
                    x: arguments.input(0), g: arguments.input(1), batch: size.batch, positions: size.positions,
                    d: size.d,
                    p: size.p,
                    includeBias: false, into: norms, scratch: arguments.floatScratch, pool: arguments.pool)
            }
        }
    }
}

/// G_i = x_i^T g_i for x [B,T,d] and g [B,T,p]: [B,d,p].
public struct LinearPerSampleGradients: BackwardOperation {
    public init() {}

    public var description: String { "linear per-sample gradients" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        let size = try LinearSizes(inputs[0], inputs[1])
        return [TensorType(.float32, [size.batch, size.d, size.p])]
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let size = LinearSizes(checked: inputs)
        return Kernel(operationCount: 2 * size.multiplyAdds) { arguments in
            linearPerSampleGradient(
                x: arguments.input(0), g: arguments.input(1), batch: size.batch, positions: size.positions, d: size.d,
                p: size.p,
                dw: arguments.output(0), pool: arguments.pool)
        }
    }
}

/// sum_i c_i x_i^T g_i for x [B,T,d], g [B,T,p] and factors c [B]: [d,p]. The contraction of Book-Keeping (Bu et al.
/// 2023). A sample whose factor is zero is not read.
public struct LinearContraction: BackwardOperation, AccumulatingOperation {
    public init() {}

    public var description: String { "linear contraction" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        let size = try LinearSizes(inputs[0], inputs[1])
        guard inputs[2] == TensorType(.float32, [size.batch]) else {
            throw .invalid("\(inputs[2]) does not hold one factor for each of \(size.batch) samples")
        }
        return [TensorType(.float32, [size.d, size.p])]
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let size = LinearSizes(checked: inputs)
        let scratch = linearWeightedContractionScratchCount(
            batch: size.batch, positions: size.positions, d: size.d, p: size.p, workers: threads)
        return Kernel(scratchBytes: 4 * scratch, operationCount: 2 * size.multiplyAdds) { arguments in
            linearWeightedContraction(
                x: arguments.input(0), g: arguments.input(1), factors: arguments.input(2), batch: size.batch,
                positions: size.positions,
                d: size.d, p: size.p, dw: arguments.output(0), accumulate: arguments.accumulates,
                scratch: arguments.floatScratch,
                pool: arguments.pool)
        }
    }
}

/// <x1_i^T g1_i, x2_i^T g2_i> of two uses of one matrix, x1 [B,T1,d], g1 [B,T1,p], x2 [B,T2,d], g2 [B,T2,p]: [B], float64.
public struct LinearCross: BackwardOperation {
    public init() {}

    public var description: String { "linear inner products" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        let first = try LinearSizes(inputs[0], inputs[1])
        let second = try LinearSizes(inputs[2], inputs[3])
        guard first.batch == second.batch, first.d == second.d, first.p == second.p else {
            throw .invalid("\(inputs[0]) and \(inputs[2]) do not enter the same matrix")
        }
        return [TensorType(.float64, [first.batch])]
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let size = LinearSizes(checked: inputs)
        let second = inputs[2].shape[1]
        let scratch = linearCrossScratchCount(
            positions1: size.positions, positions2: second, d: size.d, p: size.p, workers: threads)
        let work = 2 * Double(size.batch * size.positions) * Double(second) * Double(size.d + size.p)
        return Kernel(scratchBytes: 4 * scratch, operationCount: work) { arguments in
            let products = arguments.output(0, as: Double.self)
            products.update(repeating: 0, count: size.batch)
            linearCross(
                x1: arguments.input(0), g1: arguments.input(1), positions1: size.positions, x2: arguments.input(2),
                g2: arguments.input(3), positions2: second, batch: size.batch, d: size.d, p: size.p, scale: 1,
                into: products,
                scratch: arguments.floatScratch, pool: arguments.pool)
        }
    }
}

extension KernelArguments {
    /// The scratch memory as floats.
    var floatScratch: UnsafeMutablePointer<Float> { scratch.assumingMemoryBound(to: Float.self) }
}
