/// What a model achieves on a data set. Entries that do not fit the loss are nil.
public struct Metrics: Sendable, Hashable {
    public var sampleCount = 0
    /// Mean of the samples' losses.
    public var loss = 0.0
    /// Share of right predictions: among the positions whose target is not ignored, or among binary targets.
    public var accuracy: Double?
    /// Share of positions whose target is among the five largest logits; only with more than five classes.
    public var topFiveAccuracy: Double?
    /// exp of the mean cross-entropy per position; only for samples of several positions.
    public var perplexity: Double?
    /// Area under the ROC curve, for two classes or binary targets; nil if all targets are of one class.
    public var areaUnderCurve: Double?
    public var meanSquaredError: Double?
    public var meanAbsoluteError: Double?

    public init() {}
}

/// Area under the ROC curve by ranks (Mann-Whitney U), ties counted by half.
///
/// - Returns: nil unless there are scores of both classes.
func areaUnderCurve(_ scores: [(score: Float, isPositive: Bool)]) -> Double? {
    let positives = scores.count { $0.isPositive }
    let negatives = scores.count - positives
    guard positives > 0, negatives > 0, !scores.contains(where: { $0.score.isNaN }) else { return nil }
    let sorted = scores.sorted { $0.score < $1.score }
    var rankSum = 0.0
    var start = 0
    while start < sorted.count {
        var end = start
        while end < sorted.count, sorted[end].score == sorted[start].score { end += 1 }
        // Equal scores share the mean of the ranks start + 1 ... end.
        let rank = Double(start + 1 + end) / 2
        for index in start..<end where sorted[index].isPositive { rankSum += rank }
        start = end
    }
    let count = Double(positives)
    return (rankSum - count * (count + 1) / 2) / (count * Double(negatives))
}
