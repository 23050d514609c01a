/// Collects how far predictions lie from targets that are compared value by value.
struct ElementCounter {
    private let kind: LossSpecification.Kind
    private var count = 0
    private var squares = 0.0
    private var distances = 0.0
    private var right = 0
    private var scores: [(score: Float, isPositive: Bool)] = []

    init(_ kind: LossSpecification.Kind) { self.kind = kind }

    mutating func add(predictions: UnsafeBufferPointer<Float>, targets: UnsafeBufferPointer<Float>) {
        for (prediction, target) in zip(predictions, targets) {
            count += 1
            if kind == .binaryCrossEntropy {
                let isPositive = target >= 0.5
                if (prediction > 0) == isPositive { right += 1 }
                scores.append((prediction, isPositive))
            } else {
                let distance = Double(prediction) - Double(target)
                squares += distance * distance
                distances += abs(distance)
            }
        }
    }

    func report(into metrics: inout Metrics) {
        guard count > 0 else { return }
        if kind == .binaryCrossEntropy {
            metrics.accuracy = Double(right) / Double(count)
            metrics.areaUnderCurve = areaUnderCurve(scores)
        } else {
            metrics.meanSquaredError = squares / Double(count)
            metrics.meanAbsoluteError = distances / Double(count)
        }
    }
}
