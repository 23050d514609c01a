import TensorGraph

/// Which sample every element of a tensor belongs to, element by element: the meaning of a batch factor, against which
/// the rules are checked. Nil is an element of no sample.
struct SampleLabels: Equatable {
    let shape: [Int]
    var samples: [Int?]

    /// Entry (o, b, i) of the factor's axis belongs to sample b.
    init(_ shape: [Int], _ factor: BatchFactor?, batch: Int) {
        self.shape = shape
        samples = Self.places(of: shape).map { place in
            guard let factor else { return nil }
            return place[factor.axis] / factor.inner % batch
        }
    }

    init(shape: [Int], samples: [Int?]) {
        self.shape = shape
        self.samples = samples
    }

    subscript(place: [Int]) -> Int? {
        samples[zip(place, shape.rowMajorStrides).reduce(0) { $0 + $1.0 * $1.1 }]
    }

    /// The label of the element that is broadcast to `place` of a larger shape.
    func broadcast(to place: [Int]) -> Int? {
        let own = place.suffix(shape.count)
        return self[zip(own, shape).map { $1 == 1 ? 0 : $0 }]
    }

    /// Every factor that a tensor of this shape may have.
    static func factors(of shape: [Int], batch: Int) -> [BatchFactor] {
        shape.enumerated().flatMap { axis, dimension in
            dimension == 0 || dimension % batch != 0
                ? []
                : (1...dimension / batch).filter { dimension / batch % $0 == 0 }.map {
                    BatchFactor(axis: axis, outer: dimension / batch / $0, inner: $0)
                }
        }
    }

    /// The factor that means these labels, if there is one.
    func factor(batch: Int) -> BatchFactor? {
        Self.factors(of: shape, batch: batch).first { SampleLabels(shape, $0, batch: batch) == self }
    }

    /// All index tuples in row-major order.
    static func places(of shape: [Int]) -> [[Int]] {
        shape.reduce([[]]) { all, size in all.flatMap { place in (0..<size).map { place + [$0] } } }
    }
}

extension BatchOperand {
    /// A float operand without known elements.
    init(_ shape: [Int], _ factor: BatchFactor?, batch: Int, constant: Constant? = nil) {
        self.init(type: TensorType(.float32, shape), factor: factor, constant: constant, batchSize: batch)
    }
}
