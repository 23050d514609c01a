import Glibc
import Operators

/// Counts what a classifier gets right, position by position.
struct ClassificationCounter {
    private let classes: Int
    private let positionsPerSample: Int
    private var counted = 0
    private var right = 0
    private var amongFive = 0
    private var logLikelihood = 0.0
    private var scores: [(score: Float, isPositive: Bool)] = []

    init(classes: Int, positionsPerSample: Int) {
        self.classes = classes
        self.positionsPerSample = positionsPerSample
    }

    /// - Parameters:
    ///   - logits: `targets.count` rows of `classes`.
    mutating func add(logits: UnsafeBufferPointer<Float>, targets: UnsafeBufferPointer<Int64>) {
        for (row, target) in targets.enumerated() where target != SampleCrossEntropy.ignoredTarget {
            counted += 1
            guard (0..<Int64(classes)).contains(target) else { continue }
            let own = UnsafeBufferPointer(rebasing: logits[row * classes..<(row + 1) * classes])
            let score = own[Int(target)]
            // A tie is decided for the lower class, as argmax does; nothing is right about a logit that is no number.
            var better = score.isNaN ? classes : 0
            for (index, other) in own.enumerated() where other > score || (other == score && index < Int(target)) {
                better += 1
            }
            if better == 0 { right += 1 }
            if better < 5 { amongFive += 1 }
            if positionsPerSample > 1 { logLikelihood += Double(score) - logSumExp(own) }
            if classes == 2 { scores.append((own[1] - own[0], target == 1)) }
        }
    }

    func report(into metrics: inout Metrics) {
        guard counted > 0 else { return }
        metrics.accuracy = Double(right) / Double(counted)
        if classes > 5 { metrics.topFiveAccuracy = Double(amongFive) / Double(counted) }
        if positionsPerSample > 1 { metrics.perplexity = exp(-logLikelihood / Double(counted)) }
        if classes == 2 { metrics.areaUnderCurve = areaUnderCurve(scores) }
    }

    private func logSumExp(_ row: UnsafeBufferPointer<Float>) -> Double {
        let largest = Double(row.max() ?? 0)
        return largest + log(row.reduce(0) { $0 + exp(Double($1) - largest) })
    }
}
