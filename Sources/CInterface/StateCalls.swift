public import CDponnx
import DPONNX

@_cdecl("dponnx_state")
public func state(
    _ session: OpaquePointer?, _ reference: UnsafePointer<dponnx_tensor>?, _ count: Int,
    _ values: UnsafePointer<UnsafeMutableRawPointer?>?, _ partial: Int32,
    _ report: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> Int32 {
    report?.pointee = nil
    var result = Int32(DPONNX_OK)
    let status = guarded(session) {
        let tensors = UnsafeBufferPointer(start: try required(reference, "reference"), count: count)
        let conversion = try $0.state(like: WeightFile(borrowing: tensors))
        if conversion.report.isComplete || partial != 0, let values {
            for (tensor, target) in zip(tensors, UnsafeBufferPointer(start: values, count: count)) {
                guard let target else { continue }
                try conversion.withBytes(of: String(cString: tensor.name)) { bytes in
                    if let source = bytes.baseAddress { target.copyMemory(from: source, byteCount: bytes.count) }
                }
            }
        }
        report?.pointee = try json(conversion.report)
        guard let missing = conversion.report.missing.first else { return }
        keepMessage("'\(missing.name)' cannot be told: \(missing.reason)")
        result = Int32(DPONNX_CHECK_FAILED)
    }
    return status == Int32(DPONNX_OK) ? result : status
}
