extension Float {
    /// The upper half of the bits, rounded to nearest, ties to even; a NaN stays one.
    public var bfloat16BitPattern: UInt16 {
        let bits = bitPattern
        if isNaN { return UInt16(bits >> 16) | 0x0040 }
        return UInt16((bits + 0x7FFF + (bits >> 16 & 1)) >> 16)
    }
}
