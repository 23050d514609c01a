import Glibc
import Kernels
public import TensorGraph

/// An operation whose results differ from run to run, whatever its inputs are.
public protocol RandomOperation: ExecutableOperation {}

/// Random numbers, drawn anew on every run.
///
/// Without an input they fill `shape`; with one they have its shape, and every sample has its own, so that samples stay
/// apart.
public struct RandomValues: RandomOperation {
    public enum Distribution: Hashable, Sendable {
        case normal(mean: Float, scale: Float)
        case uniform(low: Float, high: Float)
        /// 1 with the probability that the input says, else 0.
        case bernoulli
        /// `count` classes, each with probability exp(input) up to a common factor: [batch, classes] to [batch, count].
        case classes(count: Int)
    }

    public let distribution: Distribution
    public let shape: [Int]
    /// For results that repeat from run to run; nil draws from the kernel's entropy.
    public let seed: UInt64?
    /// Tells nodes apart that are otherwise equal: they draw different numbers.
    public let node: String

    public init(_ distribution: Distribution, shape: [Int], seed: UInt64?, node: String) {
        self.distribution = distribution
        self.shape = shape
        self.seed = seed
        self.node = node
    }

    public var description: String { "random values (\(distribution))" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        let type = TensorType(.float32, shape)
        switch distribution {
        case .normal, .uniform: return [type]
        case .bernoulli where inputs == [type]: return [type]
        case .classes(let count):
            guard let logits = inputs.first, logits.elementType == .float32, logits.rank == 2, logits.shape[1] > 0,
                shape == [logits.shape[0], count]
            else { break }
            return [TensorType(.int64, shape)]
        default: break
        }
        throw .invalid("\(inputs) do not say with which probabilities to draw")
    }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        guard let factor = inputs.first?.factor else { return [nil] }
        if case .classes = distribution, factor.axis == 1 {
            throw BatchMixing(axis: 1, "it draws among samples")
        }
        return [factor]
    }

    /// What is drawn does not depend on the input in a way that has a slope.
    public func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? { nil }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let (distribution, seed) = (distribution, seed)
        let count = outputs[0].count
        let classes = inputs.first?.shape.last ?? 0
        return Kernel { arguments in
            let generator: any RandomGenerator = seed.map(SeededRandomGenerator.init(seed:)) ?? SecureRandomGenerator()
            switch distribution {
            case .normal(let mean, let scale):
                let out = UnsafeMutableBufferPointer(start: arguments.output(0, as: Float.self), count: count)
                out.update(repeating: 0)
                generator.releaseOnGrid(out, step: 0x1p-20, deviation: 1)
                for index in out.indices { out[index] = mean + scale * out[index] }
            case .uniform(let low, let high):
                let out = arguments.output(0, as: Float.self)
                for index in 0..<count { out[index] = low + (high - low) * Self.uniform(generator) }
            case .bernoulli:
                let (p, out) = (arguments.input(0, as: Float.self), arguments.output(0, as: Float.self))
                for index in 0..<count { out[index] = Self.uniform(generator) < p[index] ? 1 : 0 }
            case .classes(let draws):
                let (logits, out) = (arguments.input(0, as: Float.self), arguments.output(0, as: Int64.self))
                for index in 0..<count {
                    out[index] = Int64(
                        Self.draw(
                            UnsafeBufferPointer(start: logits + index / draws * classes, count: classes), generator))
                }
            }
        }
    }

    /// In 0..<1, with 24 random bits.
    private static func uniform(_ generator: any RandomGenerator) -> Float { Float(generator.next() >> 40) * 0x1p-24 }

    /// The class at which the running sum of probabilities passes a uniform number.
    private static func draw(_ logits: UnsafeBufferPointer<Float>, _ generator: any RandomGenerator) -> Int {
        let greatest = logits.max()!
        let weights = logits.map { exp(Double($0 - greatest)) }
        var rest = Double(uniform(generator)) * weights.reduce(0, +)
        for (index, weight) in weights.enumerated() {
            rest -= weight
            if rest < 0 { return index }
        }
        return weights.lastIndex { $0 > 0 } ?? 0
    }
}
