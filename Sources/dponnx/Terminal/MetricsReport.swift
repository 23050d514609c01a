import DPONNX

/// Metrics as they are printed.
struct MetricsReport: Codable {
    var samples: Int
    var loss: Double
    var accuracy: Double?
    var top5: Double?
    var perplexity: Double?
    var auc: Double?
    var mse: Double?
    var mae: Double?

    init(_ metrics: Metrics) {
        samples = metrics.sampleCount
        loss = metrics.loss
        accuracy = metrics.accuracy
        top5 = metrics.topFiveAccuracy
        perplexity = metrics.perplexity
        auc = metrics.areaUnderCurve
        mse = metrics.meanSquaredError
        mae = metrics.meanAbsoluteError
    }

    var text: String {
        var lines = ["samples     \(samples)", "loss        \(fixed(loss, 5))"]
        if let accuracy { lines.append("accuracy    \(fixed(100 * accuracy, 2)) %") }
        if let top5 { lines.append("top-5       \(fixed(100 * top5, 2)) %") }
        if let perplexity { lines.append("perplexity  \(fixed(perplexity, 4))") }
        if let auc { lines.append("AUC         \(fixed(auc, 4))") }
        if let mse { lines.append("MSE         \(mse)") }
        if let mae { lines.append("MAE         \(mae)") }
        return lines.joined(separator: "\n")
    }
}

/// Metrics on validation data as a log keeps them.
struct ValidationReport: Codable {
    var stamp = RunLog.stamp
    var metrics: MetricsReport
}
