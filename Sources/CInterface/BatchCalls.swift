public import CDponnx
import DPONNX
import Glibc

@_cdecl("dponnx_draw")
public func draw(
    _ session: OpaquePointer?, _ rows: UnsafeMutablePointer<UnsafeMutablePointer<Int64>?>?,
    _ count: UnsafeMutablePointer<Int>?
) -> Int32 {
    guarded(session) {
        let (rows, count) = (try required(rows, "rows"), try required(count, "count"))
        let drawn = try $0.drawBatch()
        // C's own allocation, for dponnx_free; of one element at least, as an empty one may be NULL.
        let memory = malloc(max(1, drawn.count) * MemoryLayout<Int64>.stride)!.assumingMemoryBound(to: Int64.self)
        for (index, row) in drawn.enumerated() { memory[index] = Int64(row) }
        rows.pointee = memory
        count.pointee = drawn.count
    }
}

@_cdecl("dponnx_forget_draws")
public func forgetDraws(_ session: OpaquePointer?) -> Int32 { guarded(session) { $0.forgetDraws() } }

@_cdecl("dponnx_prepare")
public func prepare(_ session: OpaquePointer?, _ example: UnsafePointer<dponnx_tensor>?, _ count: Int) -> Int32 {
    guarded(session) { try $0.prepare($0.batch(example, count)) }
}

@_cdecl("dponnx_accumulate")
public func accumulate(_ session: OpaquePointer?, _ batch: UnsafePointer<dponnx_tensor>?, _ count: Int) -> Int32 {
    guarded(session) { try $0.accumulate(batch, count) }
}

@_cdecl("dponnx_discard")
public func discard(_ session: OpaquePointer?) -> Int32 { guarded(session) { $0.discardBatch() } }

@_cdecl("dponnx_finish_step")
public func finishStep(_ session: OpaquePointer?, _ report: UnsafeMutablePointer<dponnx_report>?) -> Int32 {
    guarded(session) { try $0.finishStep(report) }
}

@_cdecl("dponnx_step")
public func step(
    _ session: OpaquePointer?, _ batch: UnsafePointer<dponnx_tensor>?, _ count: Int,
    _ report: UnsafeMutablePointer<dponnx_report>?
) -> Int32 {
    guarded(session) {
        try $0.accumulate(batch, count)
        try $0.finishStep(report)
    }
}

@_cdecl("dponnx_evaluate")
public func evaluate(_ session: OpaquePointer?, _ batch: UnsafePointer<dponnx_tensor>?, _ count: Int) -> Int32 {
    guarded(session) { try $0.evaluate($0.batch(batch, count, isGrouped: false)) }
}

@_cdecl("dponnx_finish_evaluation")
public func finishEvaluation(_ session: OpaquePointer?, _ result: UnsafeMutablePointer<dponnx_metrics>?) -> Int32 {
    guarded(session) {
        let result = try required(result, "metrics")
        let metrics = $0.finishEvaluation()
        result.pointee = dponnx_metrics(
            sample_count: Int64(metrics.sampleCount), loss: metrics.sampleCount == 0 ? .nan : metrics.loss,
            accuracy: metrics.accuracy ?? .nan, top5: metrics.topFiveAccuracy ?? .nan,
            perplexity: metrics.perplexity ?? .nan, auc: metrics.areaUnderCurve ?? .nan,
            mse: metrics.meanSquaredError ?? .nan, mae: metrics.meanAbsoluteError ?? .nan)
    }
}

extension TrainingSession {
    fileprivate func accumulate(_ tensors: UnsafePointer<dponnx_tensor>?, _ count: Int) throws {
        let data: DataSet
        do {
            data = try batch(tensors, count)
        } catch {
            discardBatch()
            throw error
        }
        try accumulate(data)
    }

    fileprivate func finishStep(_ report: UnsafeMutablePointer<dponnx_report>?) throws {
        let own = try finishStep()
        report?.pointee = dponnx_report(
            step: Int64(own.step), sample_count: Int64(own.sampleCount), excluded: Int64(own.excludedCount),
            learning_rate: own.learningRate, loss: own.loss ?? .nan, clipped_share: own.clippedShare ?? .nan)
    }
}
