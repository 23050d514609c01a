public import CDponnx
import DPONNX

/// Fields of DLPack's DLTensor, at the places that its 64-bit binary interface gives them (version 1.0): data, device type
/// and number, rank, type code, bits and lanes, shape, strides, byte offset.
private struct DLPackTensor {
    private let base: UnsafeRawPointer

    init(_ base: UnsafeRawPointer) { self.base = base }

    var data: UnsafeRawPointer? { base.load(as: UnsafeRawPointer?.self) }
    var deviceType: Int32 { base.load(fromByteOffset: 8, as: Int32.self) }
    var rank: Int32 { base.load(fromByteOffset: 16, as: Int32.self) }
    var code: UInt8 { base.load(fromByteOffset: 20, as: UInt8.self) }
    var bits: UInt8 { base.load(fromByteOffset: 21, as: UInt8.self) }
    var lanes: UInt16 { base.load(fromByteOffset: 22, as: UInt16.self) }
    var shape: UnsafePointer<Int64>? { base.load(fromByteOffset: 24, as: UnsafePointer<Int64>?.self) }
    var strides: UnsafePointer<Int64>? { base.load(fromByteOffset: 32, as: UnsafePointer<Int64>?.self) }
    var byteOffset: UInt64 { base.load(fromByteOffset: 40, as: UInt64.self) }

    /// The element type: DLPack numbers signed integers 0, unsigned ones 1, floats 2, bfloat16 4, booleans 6.
    var type: dponnx_type? {
        switch (code, bits) {
        case (0, 8): DPONNX_INT8
        case (0, 16): DPONNX_INT16
        case (0, 32): DPONNX_INT32
        case (0, 64): DPONNX_INT64
        case (1, 8): DPONNX_UINT8
        case (1, 16): DPONNX_UINT16
        case (1, 32): DPONNX_UINT32
        case (1, 64): DPONNX_UINT64
        case (2, 16): DPONNX_FLOAT16
        case (2, 32): DPONNX_FLOAT32
        case (2, 64): DPONNX_FLOAT64
        case (4, 16): DPONNX_BFLOAT16
        case (6, 8): DPONNX_BOOL
        default: nil
        }
    }
}

@_cdecl("dponnx_tensor_from_dlpack")
public func tensorFromDLPack(
    _ name: UnsafePointer<CChar>?, _ source: UnsafeRawPointer?, _ tensor: UnsafeMutablePointer<dponnx_tensor>?
) -> Int32 {
    guarded {
        let source = DLPackTensor(try required(source, "dl_tensor"))
        let place = DataError.Place(array: String(cString: try required(name, "name")))
        // 1 is the CPU's memory; 3, 11 and 13 are memory of other devices' drivers that the CPU may read.
        guard [1, 3, 11, 13].contains(source.deviceType) else {
            throw DataError(
                .unsupported, "lies on a device of type \(source.deviceType); copy it to the CPU", at: place)
        }
        guard let type = source.type, source.lanes == 1 else {
            throw DataError(
                .unsupported,
                "has elements of DLPack type \(source.code) with \(source.bits) bits in \(source.lanes) lanes",
                at: place)
        }
        try required(tensor, "tensor").pointee = dponnx_tensor(
            name: name, type: Int32(type.rawValue), rank: source.rank, shape: source.shape, strides: source.strides,
            data: source.data.map { $0 + Int(source.byteOffset) })
    }
}
