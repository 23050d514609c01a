/// Metrics under way: what has been counted on some of the rows.
public struct MetricsTally: Sendable {
    private let kind: LossSpecification.Kind
    private var sampleCount = 0
    private var lossSum = 0.0
    /// Number of samples whose losses were added, each row counting its share.
    private var lossWeight = 0.0
    private var classification: ClassificationCounter?
    private var elements: ElementCounter?

    public init(_ kind: LossSpecification.Kind) {
        self.kind = kind
        switch kind {
        case .binaryCrossEntropy, .meanSquaredError, .meanAbsoluteError, .huber: elements = ElementCounter(kind)
        case .crossEntropy, .output: break
        }
    }

    /// The metrics of all rows added.
    public var metrics: Metrics {
        var metrics = Metrics()
        metrics.sampleCount = sampleCount
        metrics.loss = sampleCount == 0 ? .nan : lossSum / lossWeight
        classification?.report(into: &metrics)
        elements?.report(into: &metrics)
        return metrics
    }

    /// - Parameters:
    ///   - shares: of each row in the loss of the sample that it belongs to.
    ///   - sampleShape: what the loss reads of one row: [positions, classes] or [values].
    /// - Throws: `DataError` if a target does not fit the loss.
    mutating func add(
        _ rows: [Int], of data: DataSet, shares: [Double], losses: UnsafeBufferPointer<Float>,
        predictions: UnsafeBufferPointer<Float>,
        sampleShape: [Int]
    ) throws {
        lossSum += zip(shares, losses).reduce(0) { $0 + $1.0 * Double($1.1) }
        lossWeight += shares.reduce(0, +)
        sampleCount += rows.count
        let targets = rows.count * sampleShape[0]
        // A run may overwrite the targets it was fed, so they are read anew.
        if kind == .crossEntropy {
            let own = UnsafeMutableBufferPointer<Int64>.allocate(capacity: targets)
            defer { own.deallocate() }
            try data.gather(rows: rows, key: data.targetKey!, into: own)
            if classification == nil {
                classification = ClassificationCounter(classes: sampleShape[1], positionsPerSample: sampleShape[0])
            }
            classification!.add(logits: predictions, targets: UnsafeBufferPointer(own))
        } else if elements != nil {
            let own = UnsafeMutableBufferPointer<Float>.allocate(capacity: targets)
            defer { own.deallocate() }
            data.gather(rows: rows, key: data.targetKey!, into: own)
            elements!.add(predictions: predictions, targets: UnsafeBufferPointer(own))
        }
    }
}
