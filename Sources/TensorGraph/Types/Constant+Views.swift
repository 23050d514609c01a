extension Constant {
    /// Constants of several types whose memory `fill` writes at once.
    public static func make(_ types: [TensorType], fill: ([UnsafeMutableRawPointer]) -> Void) -> [Constant] {
        var pointers: [UnsafeMutableRawPointer] = []
        let constants = types.map { type in Constant(type) { pointers.append($0.baseAddress!) } }
        fill(pointers)
        return constants
    }
}
