/// A floating-point format of 4 or 8 bits (OCP 8-bit Floating Point Specification 1.0, Microscaling Formats 1.0, and the
/// FNUZ variants of Noune et al. 2022), whose every value a float32 holds.
public struct NarrowFloat: Sendable, Hashable {
    private let exponentBits: Int
    private let mantissaBits: Int
    private let bias: Int
    private let special: Special

    /// Which codes are no finite numbers.
    private enum Special {
        /// The greatest exponent holds infinity and NaN, as in IEEE 754.
        case infinityAndNaN
        /// Only all bits but the sign being one is NaN; there is no infinity.
        case onlyNaN
        /// What would be negative zero is NaN; there is no infinity.
        case negativeZeroIsNaN
        /// Every code is a number.
        case none
    }

    /// - Returns: nil for a type that is no such format.
    public init?(_ type: ONNXElementType) {
        switch type {
        case .float8E4M3FN: (exponentBits, mantissaBits, bias, special) = (4, 3, 7, .onlyNaN)
        case .float8E4M3FNUZ: (exponentBits, mantissaBits, bias, special) = (4, 3, 8, .negativeZeroIsNaN)
        case .float8E5M2: (exponentBits, mantissaBits, bias, special) = (5, 2, 15, .infinityAndNaN)
        case .float8E5M2FNUZ: (exponentBits, mantissaBits, bias, special) = (5, 2, 16, .negativeZeroIsNaN)
        case .float4E2M1: (exponentBits, mantissaBits, bias, special) = (2, 1, 1, .none)
        default: return nil
        }
    }

    /// The value of a code.
    public func value(_ code: UInt8) -> Float {
        let magnitude = Int(code) & ((1 << (exponentBits + mantissaBits)) - 1)
        let isNegative = Int(code) >> (exponentBits + mantissaBits) & 1 == 1
        let (exponent, mantissa) = (magnitude >> mantissaBits, magnitude & ((1 << mantissaBits) - 1))
        let isTop = exponent == (1 << exponentBits) - 1
        switch special {
        case .infinityAndNaN where isTop:
            if mantissa != 0 { return .nan }
            return isNegative ? -.infinity : .infinity
        case .onlyNaN where isTop && mantissa == (1 << mantissaBits) - 1: return .nan
        case .negativeZeroIsNaN where isNegative && magnitude == 0: return .nan
        default: break
        }
        let significand = exponent == 0 ? mantissa : mantissa + 1 << mantissaBits
        let value = Float(significand) * power(max(exponent, 1) - bias - mantissaBits)
        return isNegative ? -value : value
    }

    /// The greatest finite value.
    private var greatest: Float {
        let top = (1 << exponentBits) - 1
        switch special {
        case .infinityAndNaN: return (2 - power(-mantissaBits)) * power(top - 1 - bias)
        case .onlyNaN: return (2 - 2 * power(-mantissaBits)) * power(top - bias)
        case .negativeZeroIsNaN, .none: return (2 - power(-mantissaBits)) * power(top - bias)
        }
    }

    /// The nearest value of the format, halves to even. What is too large becomes the greatest value if `saturates` or
    /// if the format has nothing else, otherwise infinity or, where there is none, NaN. A format without NaN holds 0 for it.
    public func rounded(_ x: Float, saturates: Bool) -> Float {
        if x.isNaN { return special == .none ? 0 : x }
        var magnitude = x.magnitude
        if magnitude.isFinite, magnitude > 0 {
            let quantum = power(max(Int(magnitude.exponent), 1 - bias) - mantissaBits)
            magnitude = (magnitude / quantum).rounded(.toNearestOrEven) * quantum
        }
        if magnitude > greatest {
            switch special {
            case _ where saturates: magnitude = greatest
            case .infinityAndNaN: magnitude = .infinity
            case .onlyNaN, .negativeZeroIsNaN: return .nan
            case .none: magnitude = greatest
            }
        }
        if magnitude == 0, special == .negativeZeroIsNaN { return 0 }
        return x.sign == .minus ? -magnitude : magnitude
    }

    private func power(_ exponent: Int) -> Float { Float(sign: .plus, exponent: exponent, significand: 1) }
}
